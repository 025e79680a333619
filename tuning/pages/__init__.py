"""Results as a page to look at: one HTML file that needs no network, of a search or of an experiment.

A page is made from the records of a folder alone, at any time: while it runs, after a kill, on another machine.
"""

from tuning.pages.pages import page_of, write_page

__all__ = ["page_of", "write_page"]
