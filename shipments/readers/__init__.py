"""What readers send, one module per dialect: bytes in, reads and faults out. Pure: no database."""
