"""The demo where no network namespaces can be made: the loop on in-memory devices."""
