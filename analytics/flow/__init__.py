"""Whether the flow stays within the meter's rated range and behaves as flow does."""
