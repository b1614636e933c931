"""Networks: tensors to tensors, with no probability in them."""
