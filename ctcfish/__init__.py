"""HER2 FISH on circulating tumour cells."""
