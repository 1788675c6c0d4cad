"""Steps of phenotype: markers, leukocytes, kinds, chosen cells."""
