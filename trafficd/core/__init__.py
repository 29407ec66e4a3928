"""Pure: policy -> plan, telemetry state, rollout. step(event, now) -> effects."""
