"""The offline provider: a script that answers like a Messages API, in process and over HTTP."""
