"""The agent's Prometheus series: what is known now (``board``), what each series means (``table``), the page."""
