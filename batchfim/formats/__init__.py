"""From record to token ids to middle; pure functions without Ray, vLLM or a clock."""
