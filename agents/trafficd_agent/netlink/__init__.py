"""rtnetlink by pyroute2: requests, dumps and notifications about queues and links, decoded into records."""
