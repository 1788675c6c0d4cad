"""The stages of the route: one module and one public pure function each; no file, no logger, no global."""
