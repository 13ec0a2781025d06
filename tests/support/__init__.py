"""What several tests build on: sessions, models and files made for tests."""
