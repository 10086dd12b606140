"""The Transformers engine, for models that vLLM does not serve."""
