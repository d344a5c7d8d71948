"""What the app does, one module for each thing: the only floor where rows meet wires."""
