"""The recorder: from the bus into history, in batches; a record that comes twice is written once."""
