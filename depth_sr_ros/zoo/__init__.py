"""The model zoo: weight files and their cards, which of them a method takes, and weights that authors published."""
