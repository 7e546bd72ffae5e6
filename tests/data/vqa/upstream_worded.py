"""Rows of the benchmarks whose answers are words or numbers, and what must come of them."""

from .upstream_pictures import picture

WORD = "\nAnswer the question using a single word or phrase."

WORDED = {
    "hallusion_bench_image": (
        [
            {
                "category": "VD", "subcategory": "illusion", "set_id": "0", "figure_id": "1",
                "question_id": "2", "question": "Is the left circle larger?", "gt_answer": "0",
                "image": picture("red"),
            }
        ],
        [
            {
                "id": "VD-illusion-0-1-2", "kind": "yes_no", "gold": "No", "group": "0",
                "figure": "1", "asked": "2", "choices": ["Yes", "No"],
                "prompt": "Is the left circle larger?",
            }
        ],
    ),
    "vlms_are_biased": (
        [
            {
                "ID": "animals_1_px384", "topic": "Animals", "sub_topic": "Birds",
                "prompt": "How many legs? Answer with a number in curly brackets, e.g., {9}.",
                "ground_truth": "3", "expected_bias": "2", "type_of_question": "Q1",
                "image": picture("red"),
            },
            {
                "ID": "illusion_2", "topic": "Optical Illusion", "sub_topic": "Ponzo",
                "prompt": "Are the lines equal? Answer in curly brackets, e.g., {Yes} or {No}.",
                "ground_truth": "{no}", "expected_bias": "Yes", "type_of_question": "Q1",
                "image": picture("blue"),
            },
        ],
        [
            {
                "id": "animals_1_px384", "kind": "number", "gold": "3", "expected_bias": "2",
                "category": "Animals", "choices": [],
                "prompt": "How many legs? Answer with a number in curly brackets, e.g., {9}.",
            },
            {"kind": "yes_no", "gold": "No", "expected_bias": "Yes"},
        ],
    ),
    "vqav2_val": (
        [
            {
                "question_id": 262148000, "question": "Where is he looking?",
                "answers": [{"answer": a, "answer_id": i} for i, a in enumerate(
                    ["down"] * 6 + ["table"] * 4)],
                "multiple_choice_answer": "down", "answer_type": "other",
                "question_type": "none of the above", "image": picture("red"),
            }
        ],
        [
            {
                "id": "262148000", "kind": "open", "gold": "down", "category": "other",
                "answers": ["down"] * 6 + ["table"] * 4, "prompt": "Where is he looking?" + WORD,
            }
        ],
    ),
    "textvqa": (
        [
            {
                "question_id": 34602, "question": "what is the Brand of this camera?",
                "answers": ["nous les gosses", "dakota"] + ["dakota digital"] * 8,
                "image": picture("red"),
            }
        ],
        [{"gold": "dakota digital", "prompt": "What is the brand of this camera?" + WORD}],
    ),
    "okvqa": (
        [
            {
                "question_id": "2971475", "question": "What sport is it?",
                "answers": ["race"] * 4 + ["motocross"] * 6, "image": picture("red"),
            }
        ],
        [
            {
                "gold": "motocross",
                "prompt": "What sport is it?"
                "\nWhen the provided information is insufficient, respond with 'Unanswerable'."
                + WORD,
            }
        ],
    ),
    "chartqa": (
        [
            {"type": "human_test", "question": "What is the top?", "answer": "0.57",
             "image": picture("red")}
        ],
        [
            {
                "gold": "0.57", "category": "human_test",
                "prompt": "What is the top?\nAnswer the question with a single word.",
            }
        ],
    ),
    "docvqa": (
        [
            {"questionId": "49153", "question": "What is the ratio?", "answers": ["0.28", "28 %"],
             "image": picture("red")}
        ],
        [{"id": "49153", "answers": ["0.28", "28 %"], "prompt": "What is the ratio?" + WORD}],
    ),
    "vizwiz_val": (
        [
            {
                "question_id": "VizWiz_val_00000003", "question": "What Is this? Thank you.",
                "answers": ["unanswerable"] * 6 + ["soda"] * 4, "category": "unanswerable",
                "image": picture("red"),
            }
        ],
        [
            {
                "id": "VizWiz_val_00000003", "kind": "open", "gold": "unanswerable",
                "category": "unanswerable",
                "prompt": "What is this? thank you."
                "\nWhen the provided information is insufficient, respond with 'Unanswerable'."
                + WORD,
            }
        ],
    ),
    "mme": (
        [
            {
                "question_id": "code_reasoning/0020.png", "category": "code_reasoning",
                "question": "Is the output 'Hello'? Please answer yes or no.", "answer": "Yes",
                "image": picture("red"),
            },
            {
                "question_id": "OCR/0001.jpg", "category": "OCR", "answer": "No",
                "question": "Is the word in the logo \"high time\"? Please answer yes or no.",
                "image": picture("blue"),
            },
        ],
        [
            {
                "kind": "yes_no", "gold": "Yes", "group": "code_reasoning/0020.png",
                "topic": "cognition", "prompt": "Is the output 'Hello'?" + WORD,
            },
            {"gold": "No", "topic": "perception", "category": "OCR"},
        ],
    ),
}  # fmt: skip
