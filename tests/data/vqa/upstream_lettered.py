"""Rows of the benchmarks with lettered options, and what must come of them."""

from .upstream_pictures import base64_of, picture

LETTER = "\nAnswer with the option's letter from the given choices directly."

_HRBENCH = [
    {
        "index": 4, "question": "What is on the sign?", "A": "Stop", "B": "Go", "C": "Wait",
        "D": "Left", "answer": "B", "category": "single", "cycle_category": "2",
        "image": base64_of("red"),
    }
]  # fmt: skip
_HRBENCH_WANTED = {
    "id": "4", "kind": "mcq", "gold": "B", "answer": "Go", "subcategory": "2",
    "choices": ["A", "B", "C", "D"],
    "prompt": "What is on the sign?\nA. Stop\nB. Go\nC. Wait\nD. Left"
    "\nAnswer the option letter directly.",
}  # fmt: skip


LETTERED = {
    "hrbench4k": (_HRBENCH, [_HRBENCH_WANTED]),
    "hrbench8k": (_HRBENCH, [_HRBENCH_WANTED]),
    "mmmu_val": (
        [
            {
                "id": "validation_Basic_Medical_Science_3", "question_type": "multiple-choice",
                "question": "Look at <image 1>. Which of these is its mirror?",
                "options": "['<image 2>', 'None', \"It's <image 3>\"]", "answer": "C",
                "subfield": "Anatomy", "image_1": picture("red"), "image_2": picture("green"),
                "image_3": picture("blue"),
                **{f"image_{k}": None for k in range(4, 8)},
            },
            {
                "id": "validation_Math_8", "question_type": "open", "options": "[]",
                "question": "<image 1> What is x?", "answer": "['2.5', '5/2']",
                "subfield": "Algebra",
                "image_1": picture("red"), **{f"image_{k}": None for k in range(2, 8)},
            },
        ],
        [
            {
                "id": "validation_Basic_Medical_Science_3", "gold": "C", "kind": "mcq",
                "category": "Basic_Medical_Science", "subcategory": "Anatomy",
                "shown": ["image_1", "image_2", "image_3"],
                "chunks": [
                    "Look at ", ". Which of these is its mirror?\nA. ", "\nB. None\nC. It's ",
                    "\n\nAnswer with the option's letter from the given choices directly.",
                ],
            },
            {
                "kind": "open", "gold": "2.5", "answers": ["2.5", "5/2"], "choices": [],
                "chunks": [
                    "", " What is x?\n\nAnswer the question using a single word or phrase.",
                ],
            },
        ],
    ),
    "realworldqa": (
        [
            {
                "question": "Which way?\n\nA. Left\nB. Right\nC. Straight on"
                "\nPlease answer directly with only the letter of the correct option and "
                "nothing else.",
                "answer": "C", "image": picture("red"),
            },
            {"question": "How many cars?", "answer": "4", "image": picture("blue")},
            {"question": "What is the speed limit?", "answer": "25 mph", "image": picture("green")},
        ],
        [
            {
                "kind": "mcq", "gold": "C", "options": ["Left", "Right", "Straight on"],
                "prompt": "Which way?\n\nA. Left\nB. Right\nC. Straight on\nPlease answer directly "
                "with only the letter of the correct option and nothing else.",
            },
            {"kind": "number", "gold": "4", "prompt": "How many cars?"},
            {"kind": "open", "gold": "25 mph"},
        ],
    ),
    "vstar_bench": (
        [
            {
                "text": "What colour is the dog?\n(A) brown\n(B) black and white\n(C) grey"
                "\nAnswer with the option's letter from the given choices directly.",
                "label": "B", "category": "direct_attributes", "question_id": 7,
                "image": picture("red"),
            }
        ],
        [
            {
                "id": "direct_attributes-7", "gold": "B", "answer": "black and white",
                "options": ["brown", "black and white", "grey"], "choices": ["A", "B", "C"],
                "prompt": "What colour is the dog?\nA. brown\nB. black and white\nC. grey" + LETTER,
            }
        ],
    ),
    "mmstar": (
        [
            {
                "index": 11, "question": "Which is right?\nOptions: A: on, in, B: in: the box, "
                "C: beside, D: The dog.",
                "answer": "B", "category": "coarse perception", "l2_category": "image scene",
                "image": picture("red"),
            }
        ],
        [
            {
                "id": "11", "gold": "B", "options": ["on, in", "in: the box", "beside", "The dog."],
                "question": "Which is right?", "category": "coarse perception",
                "prompt": "Which is right?\nOptions: A: on, in, B: in: the box, C: beside, "
                "D: The dog.\nAnswer with the option's letter from the given choices directly",
            }
        ],
    ),
    "seedbench_img": (
        [
            {
                "question_id": "101669", "question": "How many cats?", "choice_a": "One",
                "choice_b": "Two", "choice_c": "Three", "choice_d": "Four", "answer": "A",
                "data_type": "image", "question_type_id": 5, "image": [picture("red")],
            },
            {
                "question_id": "v1", "question": "What happens?", "choice_a": "One",
                "choice_b": "Two", "choice_c": "Three", "choice_d": "Four", "answer": "A",
                "data_type": "video", "question_type_id": 10, "image": [picture("blue")] * 8,
            },
        ],
        [
            {
                "id": "101669", "gold": "A", "answer": "One", "category": "5",
                "prompt": "How many cats?\nA. One\nB. Two\nC. Three\nD. Four" + LETTER,
            }
        ],
    ),
    "mmvp": (
        [
            {
                "Index": 3, "Question": "Is the dog facing left?", "Options": "(a) Yes (b) No",
                "Correct Answer": "(a)", "image": picture("red"),
            },
            {
                "Index": 99, "Question": "Does the elephant have long or short tusks?",
                "Options": "(a) Long (b) Short", "Correct Answer": "(a)", "image": picture("blue"),
            },
        ],
        [
            {
                "id": "3", "gold": "A", "group": "2",
                "prompt": "Is the dog facing left?\nA. Yes\nB. No" + LETTER,
            },
            {"id": "99", "gold": "B", "answer": "Short", "group": "50"},  # corrected
        ],
    ),
    "naturalbench": (
        [
            {
                "Index": 4 + k, "Question": question, "Question_Type": "multiple_choice",
                "Image": picture(colour),
            }
            for k, (question, colour) in enumerate(
                (q, c)
                for q in ("What is it?\nOption: A: cat; B: dog;", "Who?\nOption: A: He; B: She;")
                for c in ("red", "blue")
            )
        ]
        + [
            {
                "Index": 8, "Question": "Is it red?", "Question_Type": "yes_no",
                "Image": picture("red"),
            }
        ],
        [
            {
                "id": "4", "gold": "A", "group": "1", "asked": "q0", "figure": "i0",
                "options": ["cat", "dog"], "choices": ["A", "B"],
                "prompt": "What is it?\nOption: A: cat; B: dog; Please output the letter "
                "corresponding to the correct option.",
            },
            {"id": "5", "gold": "B", "asked": "q0", "figure": "i1"},
            {"id": "6", "gold": "B", "asked": "q1", "figure": "i0"},
            {"id": "7", "gold": "A", "asked": "q1", "figure": "i1"},
            {
                "gold": "Yes", "group": "2", "choices": ["Yes", "No"],
                "prompt": "Is it red? Please answer Yes or No.",
            },
        ],
    ),
    "scienceqa_img": (
        [
            {
                "question": "Which is a solid?", "choices": ["water", "ice"], "answer": 1,
                "hint": "Look at the picture.", "subject": "natural science", "topic": "physics",
                "image": picture("red"),
            },
            {
                "question": "Which is a gas?", "choices": ["steam", "ice", "milk"], "answer": 0,
                "hint": "", "subject": "natural science", "topic": "physics",
                "image": picture("blue"),
            },
        ],
        [
            {
                "gold": "B", "answer": "ice", "hint": "Look at the picture.",
                "prompt": "Context: Look at the picture.\nWhich is a solid?\nA. water\nB. ice"
                + LETTER,
            },
            {"prompt": "Which is a gas?\nA. steam\nB. ice\nC. milk" + LETTER, "hint": None},
        ],
    ),
    "ai2d": (
        [
            {
                "question": "What eats grass?", "options": ["fox", "hawk", "rabbit", "owl"],
                "answer": "2", "image": picture("red"),
            }
        ],
        [
            {
                "gold": "C", "answer": "rabbit",
                "prompt": "What eats grass?\nA. fox\nB. hawk\nC. rabbit\nD. owl" + LETTER,
            }
        ],
    ),
    "blink": (
        [
            {
                "idx": "val_Jigsaw_1", "sub_task": "Jigsaw", "answer": "(B)",
                "prompt": "Which image fits?\nSelect from the following choices.\n"
                "(A) the second image\n(B) the third image",
                "choices": ["the second image", "the third image"],
                "image_1": picture("red"), "image_2": picture("green"),
                "image_3": picture("blue"), "image_4": None,
            },
            {
                "idx": "val_IQ_Test_2", "sub_task": "IQ_Test", "answer": "(C)",
                "prompt": "Which is next? The choices are in the image.",
                "choices": ["picture A", "picture B", "picture C"],
                "image_1": picture("red"), "image_2": None, "image_3": None, "image_4": None,
            },
        ],
        [
            {
                "id": "val_Jigsaw_1", "gold": "B", "category": "Jigsaw",
                "shown": ["image_1", "image_2", "image_3"], "choices": ["A", "B"],
                "options": ["the second image", "the third image"],
                "chunks": [
                    "", "", "",
                    "Note: You only need to respond with A, B without providing any additional "
                    "information.\nWhich image fits?\nSelect from the following choices.\n"
                    "(A) the second image\n(B) the third image",
                ],
            },
            {"gold": "C", "options": [], "choices": ["A", "B", "C"], "shown": ["image_1"]},
        ],
    ),
    "cv_bench": (
        [
            {
                "idx": 0, "type": "2D", "task": "Count", "source": "ADE20K", "answer": "(C)",
                "prompt": "How many organs are in the image? Select from the following choices.\n"
                "(A) 3\n(B) 2\n(C) 1\n(D) 0",
                "choices": ["3", "2", "1", "0"], "image": picture("red"),
            }
        ],
        [
            {
                "id": "2D-0", "gold": "C", "answer": "1", "category": "Count",
                "subcategory": "ADE20K", "topic": "2D", "options": ["3", "2", "1", "0"],
                "prompt": "Note: You only need to respond with A, B, C, D without providing any "
                "additional information.\n\nHow many organs are in the image? Select from the "
                "following choices.\n(A) 3\n(B) 2\n(C) 1\n(D) 0",
            }
        ],
    ),
    "mmbench_en": (
        [
            {
                "index": 1000241, "question": "Which is right?", "hint": "Look closely.",
                "A": "left", "B": "right", "C": "nan", "D": "nan", "answer": "B",
                "category": "spatial_relationship", "L2-category": "finegrained_perception",
                "source": "clevr", "split": "dev", "image": picture("red"),
            },
            {
                "index": 7, "question": "What is it?", "hint": "nan", "A": "a cat", "B": "a dog",
                "C": "a bird", "D": "a fish", "answer": "D", "category": "object",
                "L2-category": "coarse_perception", "source": "own", "split": "dev",
                "image": picture("blue"),
            },
        ],
        [
            {
                "id": "1000241", "group": "241", "gold": "B", "choices": ["A", "B"],
                "category": "finegrained_perception", "hint": "Look closely.",
                "prompt": "Look closely. Which is right? There are several options:\nA. left"
                "\nB. right\n" + LETTER,
            },
            {
                "id": "7", "group": "7", "gold": "D", "hint": None,
                "prompt": "What is it? There are several options:\nA. a cat\nB. a dog\nC. a bird"
                "\nD. a fish\n" + LETTER,
            },
        ],
    ),
}  # fmt: skip
