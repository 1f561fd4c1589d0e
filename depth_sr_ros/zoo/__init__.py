"""The model zoo: cards and weight files, which of them a method takes, and weights that authors published."""
