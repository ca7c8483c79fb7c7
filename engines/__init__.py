"""How an artifact runs, and how pixels become its input. Knows `export`, and nothing of tasks or bench."""
