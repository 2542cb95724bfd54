"""SQL text: statements, their placeholders and classification, and query builders."""

__all__: list[str] = []
