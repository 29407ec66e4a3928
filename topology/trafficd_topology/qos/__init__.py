"""Traffic classes, lanes and markings, and what they become on each kind of device."""
