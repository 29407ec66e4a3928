"""Which NICs a KV read should take. Pure, standard library only: controller, simulator and client share it."""
