"""Speaking HTTP with a provider's API: politely, within bounds, logged. Knows no provider."""
