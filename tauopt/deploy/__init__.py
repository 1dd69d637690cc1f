"""What becomes of a good trial: judged on the sealed test split, registered, made champion."""
