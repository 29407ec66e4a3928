"""The vocabulary that controller and agent share: pure values and functions, importing nobody."""
