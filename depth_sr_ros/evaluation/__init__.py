"""How good and how fast: error measures between depth maps, and the time that methods take on this machine."""
