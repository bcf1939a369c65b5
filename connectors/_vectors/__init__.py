"""What the stores of vectors share: asking one, sentences for what may go wrong, how a credential authorises."""
