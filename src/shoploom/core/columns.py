"""Every column name and closed vocabulary of the data contract, written once.

No other file spells a contract column as a string literal.
"""

from __future__ import annotations

USER_ID = "user_id"
ITEM_ID = "item_id"
TIME = "time"  # UTC, int64 microseconds since 1970
ACTION = "action"
PRICE = "price"
QUANTITY = "quantity"
SESSION_ID = "session_id"
QUERY = "query"
DWELL_S = "dwell_s"
STREAM_ID = "stream_id"
SOURCE = "source"

TITLE = "title"
DESCRIPTION = "description"
CATEGORY = "category"  # a path, parts joined by " > "
BRAND = "brand"
COST = "cost"
IMAGE = "image"
VIDEO = "video"
CREATED = "created"

CONSENT = "consent"

RATING = "rating"
TEXT = "text"

DIALOGUE_ID = "dialogue_id"
ROLE = "role"
INTENT = "intent"
EMOTION = "emotion"
SATISFACTION = "satisfaction"

COMPETITOR_PRICE = "competitor_price"
PROMOTION = "promotion"
DISPLAY = "display"
MARKET = "market"

ARM = "arm"
PROPENSITY = "propensity"
CONTEXT = "context"
CLICKED = "clicked"
CONVERTED = "converted"
SPEND = "spend"

ITEMS_SHOWN = "items_shown"
TRANSCRIPT = "transcript"

# Columns that cleaning adds.
PRICE_PRESENT = "price_present"  # False where the price was imputed or is missing
QUANTITY_PRESENT = "quantity_present"  # False where the quantity was imputed

# Columns that readers add and quarantine keeps.
FILE = "_file"  # where the row came from
ROW = "_row"  # its 1-based row there, the header not counted
REASON = "_reason"  # quarantine: why the row was set aside

VIEW = "view"
CART = "cart"
REMOVE = "remove"
FAVOURITE = "favourite"
PURCHASE = "purchase"
SEARCH = "search"
WATCH = "watch"
CLICK = "click"
RETURN = "return"
#: The closed set of actions; a code in an array is an index into this tuple.
ACTIONS = (VIEW, CART, REMOVE, FAVOURITE, PURCHASE, SEARCH, WATCH, CLICK, RETURN)

CUSTOMER = "customer"
AGENT = "agent"
#: The closed set of roles in a dialogue.
ROLES = (CUSTOMER, AGENT)

CATEGORY_SEPARATOR = " > "
