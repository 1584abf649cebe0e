"""Skills as files: what clients upload becomes a checked tree, and the skills that ship with us.

upload       what a client sent, as a :class:`~freehold.skills.tree.SkillTree`
tree         a skill's files, and the one normal form of its zip
prebuilt     the document skills ``xlsx``, ``docx``, ``pptx`` and ``pdf``
"""
