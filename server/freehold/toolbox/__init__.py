"""What runs inside a sandbox: it executes the agent's tools and remembers what it executed.

The toolbox is a program of the standard library alone, for any Python from 3.9, packed into one
file by :mod:`freehold.sandbox.toolbox_package` and started as the sandbox's main process::

    toolbox.pyz serve --state DIR --socket PATH --workdir DIR [--outputs DIR] [--idle-exit SECONDS]
    toolbox.pyz connect --socket PATH
    toolbox.pyz pack --roots DIR:DIR --limit BYTES
    toolbox.pyz unpack --roots DIR:DIR --limit BYTES

``serve`` listens on a unix socket and keeps a journal of tool calls in the state directory;
``connect`` relays its standard input and output to that socket; ``pack`` writes the agent's own
files to its standard output, ``unpack`` makes what it reads (:mod:`.archive`). Over the stream go
frames: one JSON object a line, requests with a ``rid`` and replies, in any order, with the same
``rid``.

======== ============================ ===========================================================
``op``   fields                       ``result``
======== ============================ ===========================================================
hello                                 ``protocol``, ``identity``, ``boot`` (another one with each
                                      start), ``workdir``, ``outputs``
ping                                  ``{}``
call     ``id``, ``name``, ``input``  ``content``, ``is_error``
cancel   ``id``                       ``{}``
read     ``path``, ``offset``,        ``data`` (base64), ``eof``, ``version`` (changes with the
         ``length``                   file)
write    ``path``, ``offset``,        ``{}``; offset 0 creates or empties the file
         ``data`` (base64), ``mode``
         (optional)
mkdir    ``path``                     ``{}``; with its parents, unless it is there
delete   ``path``                     ``{}``; a file, or a folder with all it holds
list     ``path``, ``limit``          ``files``: ``path``, ``size``, ``modified`` (seconds),
                                      ``sha256`` of each regular file
survey   ``path``, ``limit``,         ``files`` (path within, digest or null), ``others``,
         ``largest``, ``fresh``       ``unnamed``; see :mod:`freehold.toolbox.mirror`
exchange ``path``, ``changes``:       ``results``: ``done``, ``changed``, or ``blocked`` and why, of
         path within, digest,         each
         ``data`` (base64 or null)
rest                                  ``resting``: false while a call runs; else the toolbox
                                      asks what runs to end, and ends
shutdown                              ``{}``; then the toolbox ends
environ- ``variables``                ``{}``; what the shell has besides its own environment from
ment                                  its next command on, in the place of what was said before
======== ============================ ===========================================================

A reply is ``{"rid", "ok": true, "result"}`` or ``{"rid", "ok": false, "error": {"kind",
"message"}}`` with kind ``not_found``, ``is_directory``, ``permission``, ``io``,
``too_many`` or ``bad_request``.

Threads, not asyncio: importing asyncio alone would take a third of a container's start.
"""

PROTOCOL = 3
