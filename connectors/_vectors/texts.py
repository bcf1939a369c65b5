"""What people read about any store of vectors; each connector translates them."""

WORKS = "The store answers."
NO_HOST = "Enter the address of the store; it begins with https:// or http://."
REFUSED_KEY = "The store does not accept the key. Check that it was copied whole and may read and write."
BUSY = "The store allows no more requests right now."
DOWN = "The store is not working properly at the moment."
REFUSED = "The store refused the request. Check the address and the name in the settings of the key."
UNREADABLE = "The answer of the store could not be read. Check that the address belongs to it."
GONE = "What was filled is not there any more. Fill the store again in the settings of the knowledge base."
OTHER_LENGTH = (
    "The store holds vectors of another length under this name. Enter another name in a new key, or use a model whose "
    "vectors fit."
)
OTHER_MEASURE = "The store does not compare by cosine under this name. Enter another name in a new key."
