"""How the panel looks: theme, stored settings, texts, checks before a window opens."""
