"""Does a search beat the grid? Methods race over learning curves that are trained once and kept."""
