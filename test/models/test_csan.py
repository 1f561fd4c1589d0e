from base_model_tester import BaseModelTester


class TestCSAN(BaseModelTester):
    name = "csan"
