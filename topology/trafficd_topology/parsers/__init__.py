"""Text in, records out. Nothing here opens a file."""
