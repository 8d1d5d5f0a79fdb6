"""A metadata layer for multimodal data: exactly the affected samples run again."""
