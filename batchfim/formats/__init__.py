"""Record → token ids → middle. Pure: no Ray, no vLLM, no clock."""
