hello
echo "And hello to you. What are you made of?"
echo "Two layers: what I say, and what I need to say it."
