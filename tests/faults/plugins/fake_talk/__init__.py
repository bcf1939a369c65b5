"""Speech for calls in which every word is accounted for."""
