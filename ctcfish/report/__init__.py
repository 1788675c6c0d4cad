"""What people look at: pictures of cells, outlines over scenes, plots, and the pages that hold them."""
