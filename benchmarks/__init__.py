"""Speed and memory, measured as ratios; nothing here is asserted."""
