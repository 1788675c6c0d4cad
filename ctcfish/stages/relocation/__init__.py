"""Steps of relocation: triangles, transforms, fields, pairs."""
