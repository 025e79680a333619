"""Raw tables, texts and image features -> a data set folder in the benchmark's format."""
