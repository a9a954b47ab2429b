"""Operations: idempotent changes, each of which knows its own difference to the machine."""
