"""Providers of ``web_search`` behind one seam. The Messages API's own server tool is none of them
yet: there the model searches by itself, inside its answer, and that is another path."""
