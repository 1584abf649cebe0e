"""Providers of ``web_search`` behind one seam."""
