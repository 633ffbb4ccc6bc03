"""HTTP calls to any provider's API, with retries, cooldowns, limits and logs."""
