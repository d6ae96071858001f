/* Nothing: the smallest image has no PSA. */
