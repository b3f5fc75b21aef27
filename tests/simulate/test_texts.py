"""The simulated shop's language: what it must tell, what it must not, and how it varies."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from shoploom.core.errors import DataError, UnknownName
from shoploom.core.seeds import rng
from shoploom.simulate.catalogue import ASPECTS, BRANDS, CATEGORIES, LANGUAGES
from shoploom.simulate.content._grammar import Dice, Grammar
from shoploom.simulate.content._personal import PERSONAL_KINDS, check_digit, personal_data
from shoploom.simulate.content.queries import category_queries
from shoploom.simulate.content.reviews import TRAITS, ReviewTexts, _vocabulary, write_reviews
from shoploom.simulate.content.scripts import stream_script
from shoploom.simulate.content.titles import item_texts

BOTH = pytest.mark.parametrize("language", range(len(LANGUAGES)), ids=LANGUAGES)
#: The share of praise among the aspects mentioned at each rating.
PRAISE = np.array([0.1, 0.25, 0.5, 0.8, 0.93])

# Words for looks that only photos may show, and for quality that only reviews may reveal.
STYLE_AND_QUALITY = {
    "en": r"""colou?rs? red orange yellow green blue purple violet pink brown black white gr[ae]y
        beige cream-coloured navy teal olive bright pale pastel vivid warm striped? stripes floral
        plain dotted dots checked checks plaid print(ed)? pattern(ed)? round(ed)? square oval
        curved? curvy angular circular shape[ds]? quality premium durable sturdy luxur\w+
        excellent well[ -]made fine finest best comfortable soft beautiful lovely elegant cheap""",
    "zh": "颜色 色 红 橙 黄 绿 蓝 紫 粉红 灰 黑 白 彩 鲜艳 暖 冷淡 条纹 格子 碎花 波点 印花 花纹 "
    "圆 方形 方块 弧 椭 菱 质量 优质 高品质 耐用 结实 精致 上乘 高级 奢华 舒服 柔软 漂亮 好看 便宜",
}


def made_up_reviews(n: int, language: int, *, mentioned: float = 0.3, seed: int = 1):
    """Categories, languages, ratings and polarities as a shop may have them."""
    generator = rng(seed, "test reviews")
    category = generator.integers(len(CATEGORIES), size=n)
    rating = generator.choice(5, size=n, p=[0.12, 0.12, 0.16, 0.25, 0.35]) + 1
    praised = generator.random((n, len(ASPECTS))) < PRAISE[rating - 1][:, None]
    spoken = generator.random((n, len(ASPECTS))) < mentioned
    polarity = np.where(spoken, np.where(praised, 1, -1), 0).astype(np.int8)
    return category, np.full(n, language), rating, polarity


def trait(reviews: ReviewTexts, name: str) -> np.ndarray:
    return reviews.traits[name].to_numpy(zero_copy_only=False)


def bag(text: str, language: int) -> set[str]:
    """English words; Chinese characters and pairs of them."""
    if language == 0:
        return set(re.findall(r"[a-z']+", text.lower()))
    characters = re.findall(r"[\u4e00-\u9fff]", text)
    return {*characters, *map("".join, pairwise(characters))}


def naive_bayes_accuracy(bags: list[set[str]], positive: np.ndarray, n_train: int) -> float:
    """Accuracy of Bernoulli naive Bayes (of the words present) on what follows ``n_train``."""
    code = {word: i for i, word in enumerate(sorted(set().union(*bags[:n_train])))}
    counts = np.ones((2, len(code)))
    for words, label in zip(bags[:n_train], positive[:n_train].astype(int), strict=True):
        counts[label, [code[word] for word in words]] += 1
    size = np.bincount(positive[:n_train].astype(int), minlength=2)
    weight = np.diff(np.log(counts / (size[:, None] + 2)), axis=0)[0]
    prior = np.log(size[1] / size[0])
    scores = [sum(weight[code[word]] for word in words if word in code) for words in bags[n_train:]]
    return float(((np.array(scores) + prior > 0) == positive[n_train:]).mean())


# Reviews.


@BOTH
def test_counting_words_does_not_quite_tell_what_a_review_means(language):
    category, languages, rating, polarity = made_up_reviews(13_000, language)
    texts = write_reviews(category, languages, rating, polarity, seed=0).texts
    clear = np.flatnonzero(rating != 3)[:10_000]
    bags = [bag(texts[i], language) for i in clear]
    accuracy = naive_bayes_accuracy(bags, rating[clear] >= 4, n_train=8_000)
    assert 0.85 < accuracy < 0.97
    assert 1 - len(set(texts)) / len(texts) < 0.01


@BOTH
def test_the_same_seed_gives_the_same_reviews_however_many_follow(language):
    asked = made_up_reviews(300, language)
    once, again = write_reviews(*asked, seed=3), write_reviews(*asked, seed=3)
    assert once.texts == again.texts
    assert once.titles == again.titles
    assert once.traits.equals(again.traits)
    assert once.personal.equals(again.personal)
    assert write_reviews(*(column[:100] for column in asked), seed=3).texts == once.texts[:100]
    assert write_reviews(*asked, seed=4).texts != once.texts


@BOTH
def test_every_mentioned_aspect_is_spoken_of(language):
    category, languages, rating, polarity = made_up_reviews(3_000, language)
    reviews = write_reviews(category, languages, rating, polarity, seed=0)
    vocabulary = _vocabulary(LANGUAGES[language])
    altered = trait(reviews, "typos") | trait(reviews, "unpunctuated")
    for row in np.flatnonzero(~altered):
        text = reviews.texts[row].lower()
        for aspect in np.flatnonzero(polarity[row]).tolist():
            known = vocabulary[aspect, int(category[row])]
            clauses = known.praise if polarity[row, aspect] > 0 else known.blame
            # A clause has slots such as {it}; its longest piece between them is enough.
            pieces = [max(re.split(r"\{\w+\}", clause), key=len).strip() for clause in clauses]
            subjects = [part.subject.removeprefix("the ") for part in known.parts]
            assert any(word.lower() in text for word in (*subjects, *pieces)), (row, text)


@BOTH
def test_every_aspect_of_every_category_has_words_for_praise_and_blame(language):
    vocabulary = _vocabulary(LANGUAGES[language])
    for aspect in range(len(ASPECTS)):
        for category in range(len(CATEGORIES)):
            known = vocabulary[aspect, category]
            assert len(known.parts) >= 2
            assert known.praise
            assert known.blame
            assert all(len(part.good) >= 3 and len(part.bad) >= 3 for part in known.parts)


@BOTH
def test_no_slot_or_choice_is_left_open(language):
    reviews = write_reviews(*made_up_reviews(3_000, language), seed=5)
    for text in (*reviews.texts, *reviews.titles):
        assert not re.search(r"[\[\]{}|\ue000]", text), text


@BOTH
def test_personal_data_is_where_it_is_said_to_be(language):
    reviews = write_reviews(*made_up_reviews(6_000, language), seed=0)
    planted = reviews.personal.to_pylist()
    assert 0.02 < len(planted) / len(reviews.texts) < 0.04
    assert {row["kind"] for row in planted} == set(PERSONAL_KINDS)
    for row in planted:
        assert reviews.texts[row["review"]][row["start"] : row["end"]] == row["value"]


@BOTH
def test_traits_are_as_common_as_promised(language):
    reviews = write_reviews(*made_up_reviews(6_000, language), seed=0)
    assert reviews.traits.column_names == list(TRAITS)
    assert 0.12 < trait(reviews, "emoji").mean() < 0.18
    assert 0.08 < trait(reviews, "typos").mean() < 0.15
    assert trait(reviews, "negated").mean() > 0.1
    assert 0.01 < trait(reviews, "sarcastic").mean() < 0.1
    emoji = re.compile("[\U0001f300-\U0001faff❤✨☔☕]")
    found = np.array([bool(emoji.search(text)) for text in reviews.texts])
    np.testing.assert_array_equal(found, trait(reviews, "emoji"))


def test_reviews_of_a_mixed_mind_say_so():
    polarity = np.array([[1, -1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    reviews = write_reviews(np.zeros(3, int), np.zeros(3, int), np.full(3, 3), polarity, seed=0)
    assert trait(reviews, "mixed").tolist() == [True, False, False]


def test_wrong_shapes_and_ratings_are_refused():
    codes = np.zeros(2, int)
    with pytest.raises(DataError, match="6 polarities"):
        write_reviews(codes, codes, np.array([1, 5]), np.zeros((2, 5)), seed=0)
    with pytest.raises(DataError, match="1 to 5; got 0 to 5"):
        write_reviews(codes, codes, np.array([0, 5]), np.zeros((2, 6)), seed=0)


def test_no_reviews_are_a_result_too():
    none = np.zeros(0, int)
    reviews = write_reviews(none, none, none, np.zeros((0, 6)), seed=0)
    assert (reviews.texts, reviews.traits.num_rows, reviews.personal.num_rows) == ([], 0, 0)


# Personal data.


def test_chinese_identity_numbers_have_a_right_check_digit_and_no_province():
    assert check_digit("11010519491231002") == "X"  # the example of GB 11643
    provinces = {*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55)}
    provinces |= {*range(61, 66), 71, 81, 82, 83, 91}
    for seed in range(200):
        number = personal_data("id_number", "zh", Dice(seed))
        assert re.fullmatch(r"\d{17}[\dX]", number)
        assert number[-1] == check_digit(number[:17])
        assert int(number[:2]) not in provinces


def test_made_up_personal_data_is_nobodys():
    for seed in range(200):
        phone = personal_data("phone", "en", Dice(seed))
        assert re.search(r"555[-. ]?01\d\d$|7700 ?900\d{3}$|7946 0\d{3}$", phone), phone
        phone = re.sub(r"\D", "", personal_data("phone", "zh", Dice(seed)))
        assert re.fullmatch(r"(86)?1540\d{7}", phone), phone
        for language in LANGUAGES:
            email = personal_data("email", language, Dice(seed))
            assert re.fullmatch(r"[\w.\-]+@([a-z]+\.)?example\.(com|net|org)", email), email
        area, group, serial = personal_data("id_number", "en", Dice(seed)).split("-")
        assert 900 <= int(area) <= 999  # never issued as a social security number
        assert 1 <= int(group) <= 49  # nor, with such a group, to a tax payer
        assert int(serial) > 0


# Titles, descriptions and queries.


@pytest.fixture(scope="module", params=range(len(LANGUAGES)), ids=LANGUAGES)
def items(request):
    generator = rng(0, "test items")
    category = generator.integers(len(CATEGORIES), size=3_000)
    brand = generator.integers(len(BRANDS), size=3_000)
    language = np.full(3_000, request.param)
    return request.param, category, brand, item_texts(category, brand, language, seed=0)


def test_titles_are_unique_and_name_thing_and_brand(items):
    language, category, brand, texts = items
    assert len(set(texts.titles)) == len(texts.titles) == len(texts.descriptions) == 3_000
    for code, maker, title in zip(category, brand, texts.titles, strict=True):
        assert BRANDS[maker] in title
        known = CATEGORIES[code]
        materials = known.materials if language == 0 else known.materials_zh
        noun = known.noun if language == 0 else known.noun_zh
        # Chinese tea is often called by its kind alone.
        assert noun in title or (noun == "茶叶" and any(name in title for name in materials))


def test_titles_stay_unique_where_words_run_out():
    same = np.zeros(4_000, int)
    assert len(set(item_texts(same, same, same, seed=0).titles)) == 4_000


def test_the_same_seed_gives_the_same_titles(items):
    language, category, brand, texts = items
    again = item_texts(category, brand, np.full(len(category), language), seed=0)
    assert again == texts
    other = item_texts(category, brand, np.full(len(category), language), seed=1)
    assert other.descriptions != texts.descriptions


def test_descriptions_have_two_to_five_sentences(items):
    language, _, _, texts = items
    stop = r"[.?](?= |$)" if language == 0 else "。"
    counts = [len(re.findall(stop, text)) for text in texts.descriptions]
    assert min(counts) >= 2
    assert max(counts) <= 5
    wrong = r"[\[\]{}|]|\b[Aa] [aeio]|\b[Aa]n [^aeiou]"
    assert not [text for text in texts.descriptions if re.search(wrong, text)]


def patterns(language: int) -> tuple[re.Pattern, re.Pattern]:
    """What finds names that may hold any word, and what finds forbidden words."""
    # Lipstick and Bluetooth have a colour in their Chinese names.
    names = [*BRANDS, *(m for c in CATEGORIES for m in (*c.materials, *c.materials_zh))]
    names += ["口红", "蓝牙"]
    words = STYLE_AND_QUALITY[LANGUAGES[language]].split()
    edge = r"" if language else r"\b"
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    return (
        re.compile(f"{edge}({'|'.join(longest_first)}){edge}", re.IGNORECASE),
        re.compile(f"{edge}({'|'.join(words)}){edge}", re.IGNORECASE),
    )


def telling(texts: list[str], language: int) -> list[str]:
    """The texts with a forbidden word."""
    names, forbidden = patterns(language)
    return [text for text in texts if forbidden.search(names.sub(" ", text))]


def test_titles_and_descriptions_tell_neither_looks_nor_quality(items):
    language, _, _, texts = items
    assert telling([*texts.titles, *texts.descriptions], language) == []


@BOTH
def test_queries_vary_and_never_tell_looks(language):
    for category in CATEGORIES:
        queries = category_queries(category, language, 400, seed=0)
        assert queries == category_queries(category, language, 400, seed=0)
        assert len(set(queries)) > 150
        assert all(query.strip() == query != "" for query in queries)
        # A misspelling may make any word of another, so only what is typed twice must not tell.
        assert telling([query for query in queries if queries.count(query) > 1], language) == []


# Scripts.


@BOTH
@pytest.mark.parametrize("seconds_each", [2.0, 25.0])
def test_hosts_name_each_item_while_it_is_shown(language, seconds_each):
    titles = ["Brisa linen dress, knee length", "云裳 亚麻连衣裙 及膝", "Juno steel watch, 40 mm"]
    script = stream_script(titles, language, seconds_each, seed=0)
    assert script == stream_script(titles, language, seconds_each, seed=0)
    before = 0.0
    for start, end, text in script:
        item = int(start // seconds_each)
        assert before <= start < end <= (item + 1) * seconds_each + 0.01
        assert text
        before = end
    for item, title in enumerate(titles):
        first = next(text for start, _, text in script if start == item * seconds_each)
        assert title in first


# The grammar itself.


def test_grammars_choose_and_fill():
    grammar = Grammar({"greeting": ["[Hello|Hi [there|]] {whom}"], "whom": ["world"]}, "test")
    said = {grammar.say("greeting", Dice(seed)) for seed in range(60)}
    assert said == {"Hello world", "Hi there world", "Hi  world"}
    assert grammar.say("greeting", Dice(0), {"whom": "you"}).endswith("you")


def test_a_missing_rule_is_named():
    with pytest.raises(UnknownName, match=r"greting.*\(test\).*Did you mean 'greeting'"):
        Grammar({"greeting": ["Hello"]}, "test").say("greting", Dice(0))
